"""Generated files on the disk: compared, written, and stamped when all are clean."""

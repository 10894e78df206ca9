"""`python -m orchestra`: the command line. May import `cli`."""

from orchestra.cli import main

if __name__ == "__main__":
    main()

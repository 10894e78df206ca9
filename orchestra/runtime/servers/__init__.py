"""The health matrix: what is started, asked, watched, brought back, ended."""

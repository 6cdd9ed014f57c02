"""`python -m cbackprop`: the command."""

from cbackprop.command import main

if __name__ == "__main__":
    main()

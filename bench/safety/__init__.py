"""How much of the work passes, and how many attacks, with what a program declares about trust."""

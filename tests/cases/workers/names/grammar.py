"""A module of the user with a name of ours."""

NOTHING = 0

"""Templates checked against types before anything is rendered."""

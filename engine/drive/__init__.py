"""What drives a run: start and resume it, make its calls, take in answers from outside."""

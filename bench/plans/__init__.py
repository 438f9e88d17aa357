"""What plans cost, and what they gain: `python -m bench.plans`."""

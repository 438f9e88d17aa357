"""Steps at work: `each`, `reduce`, `repeat`, and the plans of `via plan` workers."""

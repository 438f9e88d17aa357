"""Plans as typed data: what they cost, next to lists of plain tasks."""

"""Checks templates against types before anything is rendered."""

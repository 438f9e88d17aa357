"""Drives runs: starts and resumes them, makes their calls, and accepts answers from people."""

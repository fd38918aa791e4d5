"""Runs on phones as a report tells them: verdicts in words, tables, facts and CSV files."""

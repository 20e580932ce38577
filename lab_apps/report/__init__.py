"""Executed notebooks become pages, a front page and a scorecard. Knows no practice."""

"""What measures: server, load, event-loop delay, claims, pictures. Knows no practice."""

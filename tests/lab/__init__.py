"""A laboratory for the adaptive controller: simulated endpoints, by discrete events."""

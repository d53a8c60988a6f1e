"""A four-legged robot on rough ground: articulated dynamics, terrain, scans and depth images."""

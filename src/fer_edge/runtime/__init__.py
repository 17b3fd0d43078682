"""Everything a board needs: numpy, Pillow and one inference engine."""

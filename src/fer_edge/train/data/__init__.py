"""Data sets of faces: FER2013, FER+ and class folders."""

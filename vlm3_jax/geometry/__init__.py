"""Cameras, pixels, poses and correspondences in numpy; knows nothing of images or models.

Pixel axes are x right and y down with integer indices at pixel centres; camera axes are OpenCV's
(x right, y down, z forward); poses are 4x4 camera-to-world matrices; lengths are metres.
"""

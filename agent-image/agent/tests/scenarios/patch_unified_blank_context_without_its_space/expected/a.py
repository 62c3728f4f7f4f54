import os


def f():
    a = 1
    return a


def h():
    b = 2
    return b

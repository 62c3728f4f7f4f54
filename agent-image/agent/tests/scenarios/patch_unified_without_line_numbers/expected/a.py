import os


def f():
    a = 1
    return a


def g():
    b = 20
    return b * 2

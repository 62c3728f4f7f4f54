import os


def f():
    a = 10
    return a


def g():
    b = 2
    return b

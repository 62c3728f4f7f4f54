class A:
    def f(self):
        if x:
            z()
            y(1)

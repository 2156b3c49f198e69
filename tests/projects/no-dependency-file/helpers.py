def load():
    import sklearn
    return sklearn

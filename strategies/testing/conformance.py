PROMISES = []
Promise = None

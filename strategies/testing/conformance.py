PROMISES=[]
Promise=None

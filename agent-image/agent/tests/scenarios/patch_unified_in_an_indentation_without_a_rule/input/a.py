if x:
	y()

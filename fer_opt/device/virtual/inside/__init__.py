"""What runs inside a virtual phone. These modules stand alone: they import nothing of fer_opt."""

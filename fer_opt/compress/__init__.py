"""Steps that make a network smaller or cheaper, one file each, one signature.

``step(network, materials, **options) -> Outcome``; what a step may be given and gives back stands
in :mod:`fer_opt.compress.materials`.
"""

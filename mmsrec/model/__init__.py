"""Models that score items for users, and what they are built of.

Tensor names end in their shape: B sequences, L items of a sequence, M modalities, T = L * M tokens, I items,
P predicted positions, D width of the model, H attention heads, F width of a feature.
"""

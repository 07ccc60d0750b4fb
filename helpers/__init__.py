"""What the notebooks of this book share: from a trained network to p values.

Read the rooms in the order in which data passes through them: ``zoo`` (with ``datasets``,
``networks`` and ``training``), ``forward``, ``graphs``, ``partitions``, ``lesions``,
``importance`` and ``coherence``, ``statistics``, ``plots``.
"""

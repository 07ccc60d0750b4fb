"""What a comparison combines to, for short assertions."""


def summary(compared, random_state=0):
    """Numbers of tested and excluded sub-clusters, and each test's p value."""
    rows = compared.combine(random_state)
    numbers = {name: int(rows[name].iloc[0]) for name in ("tested", "excluded")}
    return numbers | dict(zip(rows["test"], rows["p"], strict=True))

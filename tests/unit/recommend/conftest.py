from tests.unit.recommend.shop import shop

__all__ = ["shop"]

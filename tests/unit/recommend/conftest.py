from tests.unit.recommend.shop import shop
from tests.unit.training.test_scripts import run

__all__ = ["run", "shop"]

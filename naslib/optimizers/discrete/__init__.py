from .random_search import RandomSearch as RandomSearch
from .regularized_evolution import RegularizedEvolution as RegularizedEvolution

"""The data sets that come with naslib; importing this registers them."""

from . import cifar as cifar
from . import digits as digits
from . import few_shot as few_shot
from . import imagefolder as imagefolder
from . import imagenet16 as imagenet16
from . import mnist as mnist
from . import npz as npz
from . import spoken_digits as spoken_digits
from . import svhn as svhn
from . import table as table
from . import wikitext as wikitext

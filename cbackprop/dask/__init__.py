"""Distributed training with dask.distributed.

Requires the extra `dask`: ``pip install "cbackprop[dask]"``. The chunks of rows of a dask array or dataframe, called
shards, stay on the workers that hold them. In every round, the weights are sent to the workers, and the results of the
shards are sent back:

- ``batch_size=None`` is exact. Each shard computes the mean of the gradients (16) and (18) of its rows. Their mean,
  weighted by the numbers of rows and summed in the order of the shards, is the batch gradient (3) up to rounding; one
  update (17) follows.
- Any other ``batch_size`` is fast. Each shard learns its rows locally, sample by sample or in mini-batches, and the
  next round starts from the weighted mean of all weights. With one shard, this is bit-identical to local training. With
  several, it is **not** sequential SGD: all shards start a round from the same weights, so that the mean has moved
  about as far as one of them. docs/guides/dask.md contains measurements of this cost and an estimate of how training
  scales.

The results are bit-identical for any number of workers, in whatever order they finish, and even if some of them are
lost: the order of sums and the random numbers depend on the shards only.

Invalid input raises TypeError or ValueError, whose message names the argument and the shard. If E or a weight is no
longer finite, training raises DivergenceError. A network then has the weights from the start of the round; without
divergence, and always for an estimator, a call that raises changes nothing.
"""

from cbackprop._extras import require

require("distributed", "dask")
require("sklearn", "dask")
from cbackprop.dask._estimators import BackpropClassifier, BackpropRegressor  # noqa: E402
from cbackprop.dask._training import fit  # noqa: E402

__all__ = ["BackpropClassifier", "BackpropRegressor", "fit"]

for _public in (BackpropClassifier, BackpropRegressor, fit):
    _public.__module__ = __name__  # where they are imported from, and by pickles too

"""Distributed training with dask.distributed.

Requires the extra `dask`: ``pip install "cbackprop[dask]"``. The chunks of rows of a dask array or dataframe, called
shards, stay on the workers that hold them. In every round, the weights are sent to the workers, and the results of
the shards are sent back. With ``batch_size=None`` these are gradients, whose weighted mean is exactly that of all
rows, up to rounding. With any other ``batch_size`` they are weights that each shard has learned locally, whose
weighted mean starts the next round: bit-identical to local training with one shard, but with several **not**
sequential SGD. The guide docs/guides/dask.md contains measurements of this cost, and says why the bits do not depend
on the workers.

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

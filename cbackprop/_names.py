"""Names that arguments may have."""

from typing import Literal

Hidden = Literal["sigmoid", "tanh", "relu"]
Output = Literal["softmax", "linear", "logistic"]
Method = Literal["auto", "direct", "blocked"]
Order = Literal["C", "F"]
Missing = Literal["error", "mean"]
Scheme = Literal["central", "forward", "complex"]

"""The rows of the comparison that are measured with the same functions of every peer."""

from benchmarks.work import Functions, Row

CLASSIFICATION = [
    Row("online 784-100-10", "fit", "784-100-10", 2_000),
    Row("online 784-1024-10", "fit", "784-1024-10", 600),
    Row("online 784-16-10", "fit", "784-16-10", 4_000),
    Row("online 64-32-10", "fit", "64-32-10", 20_000),
    Row("online 2-2-3", "fit", "2-2-3", 100_000),
    *(
        Row(f"mini-batch {batch_size}, {shape}", "fit", shape, N, batch_size)
        for shape, N in (("784-100-10", 4_096), ("784-1024-10", 1_024), ("64-32-10", 16_384))
        for batch_size in (8, 32, 128, 1024)
    ),
    Row("learn_one 2-2-3", "learn_one", "2-2-3", 20_000),
    Row("learn_one 64-32-10", "learn_one", "64-32-10", 2_000),
    Row("partial_fit of one row 64-32-10", "partial_fit_one", "64-32-10", 10_000, dtypes=("float64",)),
    Row("predict_proba_one 64-32-10", "predict_proba_one", "64-32-10", 2_000),
    Row("predict 784-100-10", "predict_proba", "784-100-10", 4_096),
    Row("predict 784-1024-10", "predict_proba", "784-1024-10", 1_024),
    Row("predict 64-32-10", "predict_proba", "64-32-10", 16_384),
]
SMALL_ONLINE = {
    "4-8-2": 50_000, "8-8-3": 50_000, "13-9-3": 50_000, "20-16-5": 20_000, "30-20-2": 20_000, "37-53-7": 10_000,
}  # fmt: skip
SMALL = [
    *(Row(f"online {shape}", "fit", shape, N) for shape, N in SMALL_ONLINE.items()),
    *(Row(f"learn_one {shape}", "learn_one", shape, 2_000) for shape in ("13-9-3", "30-20-2", "64-64-10", "784-16-10")),
    *(Row(f"learn from C {shape}", "learn_from_c", shape, 20_000) for shape in ("2-2-3", "13-9-3", "64-32-10")),
    *(Row(f"mini-batch 32, {shape}", "fit", shape, 16_384, 32) for shape in ("2-2-3", "13-9-3")),
    *(Row(f"full batch of 1000, {shape}", "fit", shape, 1_000, 1_000, 1_000) for shape in ("2-2-3", "13-9-3")),
    *(
        Row(f"16 networks at once, {shape}", "fit_ensemble", shape, 5_000)
        for shape in ("2-2-3", "4-8-2", "5-6-4", "13-9-3")
    ),
    Row("full batch, the article's 2-2-3", "fit", "2-2-3", 50, 50, 1_000, inputs="article"),
]
CLICKS = {"dtypes": ("float32",), "non_zeros": 50}
SPARSE = [
    Row("sparse online 262144-16-2, 50 non-zeros", "fit_sparse", "262144-16-2", 100_000, **CLICKS),
    Row("sparse mini-batch 32, 262144-16-2, 50 non-zeros", "fit_sparse", "262144-16-2", 100_000, 32, **CLICKS),
    Row("sparse learn_one 262144-16-2, 50 non-zeros", "learn_one_sparse", "262144-16-2", 2_000, **CLICKS),
]


def regression(row: Row, functions: Functions) -> Row:
    """The same row with linear outputs, as many."""
    name = row.work.replace("predict_proba_one", "predict_one")
    return row._replace(work=f"{name}, {functions.output}, {functions.hidden}", functions=functions)


LINEAR = [regression(row, Functions(h, "linear")) for h in ("sigmoid", "relu") for row in CLASSIFICATION]
ROWS = CLASSIFICATION + SMALL + SPARSE + LINEAR

"""What operations do, by their names: the one table of functions and methods of torch, numpy and Python.

A name stands for the function and for the method of that name (`torch.cat(...)`, `x.clone()`). What is not in the table
may hand on what it is given, and changes nothing. `tests/compiler/test_operations.py` asks torch about every entry.
"""

from __future__ import annotations

FRESH = frozenset(
    "zeros ones empty full arange linspace eye tensor cat concat stack clone new_zeros new_ones new_empty new_full "
    "new_tensor zeros_like ones_like empty_like full_like sum mean prod argsort item tolist size".split()
)
"""They never return what they are given, nor a view of it (unless they are told to, by `out=`)."""

NUMBERS = frozenset("len isinstance issubclass hasattr callable bool int float str range id".split())
"""Functions of Python whose results hold nothing of what they are given."""

PLAIN_ATTRIBUTES = frozenset({"shape", "dtype", "device", "ndim"})
"""Attributes of a tensor that are nobody's to change."""

VIEWS = frozenset(
    "view view_as reshape reshape_as ravel transpose swapaxes swapdims permute movedim moveaxis unsqueeze squeeze "
    "flatten unflatten chunk unsafe_chunk tensor_split split split_with_sizes hsplit vsplit dsplit unbind t adjoint "
    "expand expand_as broadcast_to contiguous to type type_as float double half bfloat16 int long bool cpu cuda "
    "positive conj resolve_conj resolve_neg real imag view_as_real view_as_complex as_strided as_tensor asarray "
    "atleast_1d atleast_2d atleast_3d diagonal narrow select unfold detach pin_memory coalesce col_indices "
    "crow_indices ccol_indices row_indices numpy from_numpy requires_grad_ values indices T H mT mH data".split()
)
"""They return what they are given, or a view of it, at least for some of what they may be given; attributes as well."""

RESHAPES = frozenset(
    "cat concat concatenate stack hstack vstack split tensor_split chunk narrow unbind select index_select gather pad "
    "reshape view flatten unflatten permute transpose movedim squeeze unsqueeze repeat repeat_interleave expand".split()
)
"""They return what they are given as a part, longer or in another form."""

CHANGES = frozenset(
    "append extend insert remove pop popitem clear sort reverse update setdefault add discard intersection_update "
    "difference_update symmetric_difference_update appendleft popleft extendleft rotate move_to_end __setitem__ "
    "__delitem__ __iadd__ __isub__ __imul__ __itruediv__ set_ resize_ write writelines send throw close fill".split()
)
"""Methods that change what they are called on: of containers, generators, files and arrays.

Beside them, by torch's convention, whatever ends in one underscore."""

CHANGES_FIRST = frozenset(
    "next setattr delattr setitem delitem iadd isub imul itruediv ior iand ixor heappush heappop heapify insort "
    "copyto fill_diagonal put shuffle".split()
)
"""Functions that change the first thing that they are given."""

CHANGES_BUFFERS = {"batch_norm": (1, 2), "instance_norm": (1, 2)}
"""Functions that change what stands at these places: statistics that run along."""

BUFFERS = frozenset({"running_mean", "running_var"})
"""The same, passed by name."""

INPLACE = {
    "threshold": 3, "relu": 1, "relu6": 1, "hardtanh": 3, "elu": 2, "selu": 1, "celu": 2, "leaky_relu": 2, "rrelu": 4,
    "silu": 1, "mish": 1, "hardswish": 1, "hardsigmoid": 1, "dropout": 3, "dropout1d": 3, "dropout2d": 3,
    "dropout3d": 3, "alpha_dropout": 3, "feature_alpha_dropout": 3,
}  # fmt: skip
"""Functions that may be told to work in place, and at which place they are told so (or by `inplace=True`)."""

RANDOM = frozenset(
    "rand randn randint randperm rand_like randn_like randint_like randn_tensor bernoulli binomial multinomial normal "
    "poisson rrelu dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout "
    "fractional_max_pool2d fractional_max_pool3d gumbel_softmax alpha_dropout_ dropout_ feature_alpha_dropout_ "
    "feature_dropout_ native_dropout rrelu_ bernoulli_ cauchy_ exponential_ geometric_ log_normal_ normal_ random_ "
    "uniform_ trunc_normal_ kaiming_normal_ kaiming_uniform_ xavier_normal_ xavier_uniform_ orthogonal_ sparse_ "
    "sample rsample shuffle choice choices standard_normal standard_gamma manual_seed seed get_rng_state "
    "set_rng_state random randrange gauss permutation".split()
)
"""They draw from (or set) a random generator: torch, torch.nn.functional, numpy, random."""

RANDOM_IF = frozenset({"dropout_p"})
"""Arguments by which a function draws random numbers, unless they are nought."""

RANDOM_AT = {"scaled_dot_product_attention": 4}
"""The same, by the place where they stand."""

FILLS = frozenset("append extend insert remove pop popitem clear sort reverse update setdefault add discard".split())
"""Methods of a container that change it and leave what it holds as it is."""

LOOKS = frozenset({"copy", "get"})
"""Methods that leave a container as it is and hand it to nobody."""

ONLY_LOOKS = frozenset({"len", "sum"})
"""Functions that do so."""

ITERATORS = frozenset(
    "iter map filter zip enumerate reversed open parameters named_parameters buffers named_buffers modules "
    "named_modules children named_children".split()
)
"""They return what can be iterated only once."""

"""Memory is used again when nobody refers to it, and not before."""

from concurrent.futures import ThreadPoolExecutor

import torch

from nas_reid.data.recycling import Recycler


def test_memory_returns_with_the_last_view_of_it():
    memory = Recycler()
    floats = memory.floats(3, 4)
    place, row = floats.data_ptr(), floats[1]
    del floats
    other = memory.floats(3, 4)
    assert other.data_ptr() != place and other.dtype == torch.float32 and other.is_contiguous()
    del row
    again = memory.floats(4, 3)
    assert again.data_ptr() == place and again.shape == (4, 3)


def test_what_autograd_saved_is_not_overwritten():
    memory = Recycler()
    images = memory.floats(5).fill_(2.0)
    weight = torch.ones(5, requires_grad=True)
    loss = (weight * images).sum()
    del images
    memory.floats(5).fill_(7.0)
    loss.backward()
    assert weight.grad.tolist() == [2.0] * 5


def test_another_size_takes_other_memory():
    memory = Recycler()
    small = memory.floats(2)
    del small
    assert memory.floats(3).shape == (3,) and memory.floats(0, 3).shape == (0, 3)


def test_threads_never_share_a_block():
    memory = Recycler()

    def use(number: int) -> bool:
        floats = memory.floats(1000).fill_(number)
        return all(bool((floats == number).all()) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(400)))

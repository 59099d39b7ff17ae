"""The videos: what moves where, what is read of them, and how model and pipeline see them."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import WanTransformer3DModel

from teaspec.demo.videos.conditions import asked, held_out
from teaspec.demo.videos.motions import FRAMES, MOTIONS, moved, poses, read_motions
from teaspec.demo.videos.pipeline import SHIFT, generate, pipeline_of
from teaspec.demo.videos.pixels import to_latents, to_videos
from teaspec.demo.videos.prompts import Prompts
from teaspec.demo.videos.recognised import read_digits, recognised
from tools.digits.data import Digits, load
from tools.videos.data import Videos
from tools.videos.train import CONFIG


@pytest.fixture(scope="module")
def unseen() -> Digits:
    return load()[1]


def drawn(digits: Digits, motion: str, count: int = 40) -> torch.Tensor:
    pairs = torch.zeros(10, len(MOTIONS), dtype=torch.bool)
    pairs[:, MOTIONS.index(motion)] = True
    videos, _, motions = Videos(digits, pairs).batch(count, torch.Generator().manual_seed(0))
    assert (motions == MOTIONS.index(motion)).all()
    return videos


def moments(videos: torch.Tensor) -> dict[str, torch.Tensor]:
    """Where the ink is in each frame, how far it is spread, and how its longest axis lies, by plain sums."""
    side = videos.shape[-1]
    down, right = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    ink = videos.sum(dim=(2, 3))
    x, y = ((videos * axis).sum(dim=(2, 3)) / ink for axis in (right, down))
    from_x, from_y = right - x[..., None, None], down - y[..., None, None]
    xx, yy, xy = ((videos * product).sum(dim=(2, 3)) / ink for product in (from_x**2, from_y**2, from_x * from_y))
    return {"x": x, "y": y, "spread": (xx + yy).sqrt(), "axis": 0.5 * torch.atan2(2 * xy, xx - yy)}


@pytest.mark.parametrize(
    ("motion", "moment", "sign"),
    [
        *(("left", "x", -1), ("right", "x", 1), ("up", "y", -1), ("down", "y", 1)),
        *(("growing", "spread", 1), ("shrinking", "spread", -1)),
    ],
)
def test_motions_are_what_they_are_called(unseen: Digits, motion: str, moment: str, sign: int) -> None:
    """The ink's moments know nothing of poses. Mutations seen red: up and down swapped; the map not inverted."""
    found = moments(drawn(unseen, motion))
    change = sign * found[moment].diff(dim=1)
    assert (change > 0).all()
    others = {"x", "y", "spread"} - {moment}
    if moment != "spread":  # the middle of a growing digit's ink drifts where that is not the middle of the frame
        assert all((found[other][:, -1] - found[other][:, 0]).abs().mean() < 0.3 for other in others)


@pytest.mark.parametrize(("motion", "sign"), [("clockwise", 1), ("counterclockwise", -1)])
def test_turns_are_those_of_the_longest_axis(unseen: Digits, motion: str, sign: int) -> None:
    """With y down an angle grows clockwise; only digits with a clear longest axis are asked, ones.

    Mutation seen red: the turn's sine with the other sign.
    """
    ones = Digits(unseen.images[unseen.labels == 1], unseen.labels[unseen.labels == 1])
    axis = moments(drawn(ones, motion))["axis"]
    turns = (axis.diff(dim=1) + math.pi / 2) % math.pi - math.pi / 2  # an axis has no direction
    assert (sign * turns.sum(dim=1)).median() == pytest.approx(math.radians(90), abs=0.2)


def test_motions_of_real_digits_are_read(unseen: Digits) -> None:
    """Of digits that nothing was trained on."""
    videos, _, motions = Videos.all_pairs(unseen).batch(400, torch.Generator().manual_seed(1))
    assert (read_motions(videos) == motions).float().mean() >= 0.99


def test_what_stands_still_shows_no_motion(unseen: Digits) -> None:
    """Mutation seen red: standing still no candidate."""
    videos, _, _ = Videos.all_pairs(unseen).batch(40, torch.Generator().manual_seed(2))
    assert (read_motions(videos[:, 3:4].expand(-1, FRAMES, -1, -1)) == -1).all()


def test_a_video_played_backwards_shows_the_opposite(unseen: Digits) -> None:
    opposite = torch.tensor([1, 0, 3, 2, 5, 4, 7, 6])
    videos, _, motions = Videos.all_pairs(unseen).batch(80, torch.Generator().manual_seed(3))
    assert (read_motions(videos.flip(1)) == opposite[motions]).float().mean() >= 0.97


def test_an_image_at_rest_is_the_image() -> None:
    images = torch.rand(2, 16, 16)
    still = torch.eye(3).expand(2, 1, 3, 3)
    torch.testing.assert_close(moved(images, still)[:, 0], images, atol=1e-5, rtol=0)
    middle = poses(torch.arange(len(MOTIONS)))[:, FRAMES // 2 - 1 : FRAMES // 2 + 1].mean(dim=1)
    torch.testing.assert_close(middle, torch.eye(3).expand_as(middle), atol=0.01, rtol=0)


def test_each_digit_is_seen_and_each_motion_but_not_all_pairs() -> None:
    """Mutation seen red: pairs drawn from all motions."""
    held = held_out()
    assert held.sum() == 16
    assert (held.sum(dim=0) == 2).all() and (held.sum(dim=1) <= 2).all()
    videos, labels, motions = Videos(load()[0], ~held).batch(2000, torch.Generator().manual_seed(0))
    assert not held[labels, motions].any()
    assert len({*zip(labels.tolist(), motions.tolist(), strict=True)}) == 64
    assert videos.shape == (2000, FRAMES, 16, 16)
    assert {*zip(*(one.tolist() for one in asked(80)), strict=True)} == {(d, m) for d in range(10) for m in range(8)}


def test_a_video_is_recognised_where_digit_and_motion_are_both_read(unseen: Digits) -> None:
    """With a classifier that reads the digit off a corner pixel. Mutation seen red: one of the two is enough."""
    videos, digits, motions = Videos.all_pairs(unseen).batch(20, torch.Generator().manual_seed(4))

    class Corner(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return -(frames[:, 0, 0, None] * 10 - torch.arange(10)).abs()

    told = videos.clone()
    told[:, :, 0, 0] = digits[:, None] / 10
    assert torch.equal(read_digits(Corner(), told), digits)
    assert recognised(Corner(), told, digits, motions).all()
    assert not recognised(Corner(), told, (digits + 1) % 10, motions).any()
    assert not recognised(Corner(), told, digits, (motions + 1) % 8).any()


def test_pixels_survive_the_way_through_latents() -> None:
    videos = torch.rand(3, FRAMES, 16, 16, generator=torch.Generator().manual_seed(0))
    latents = to_latents(videos)
    assert latents.shape == (3, 4, FRAMES, 8, 8)
    torch.testing.assert_close(to_videos(latents), videos)


class Knowing(WanTransformer3DModel):
    """Knows the video: from anywhere between it and noise its velocity leads straight there."""

    latents: torch.Tensor

    def forward(self, hidden_states, timestep, **_kwargs):
        level = timestep[:, None, None, None, None] / 1000
        return ((hidden_states - self.latents) / level,)


def test_the_sampler_understands_the_velocity_as_the_training_does() -> None:
    """Mutation seen red: `prediction_type` left out, so that the velocity is taken for noise."""
    videos = torch.rand(2, FRAMES, 16, 16, generator=torch.Generator().manual_seed(0))
    transformer = Knowing(**{**CONFIG, "num_layers": 1})
    transformer.latents = to_latents(videos)
    prompts = Prompts.draw(torch.Generator().manual_seed(0))
    made = generate(pipeline_of(transformer), prompts, *asked(2), seed=0, steps=12)
    torch.testing.assert_close(made, videos, atol=0.02, rtol=0)


def test_the_sampler_asks_at_the_noise_levels_of_the_training() -> None:
    """Mutation seen red: a scheduler without the shift."""
    scheduler = pipeline_of(WanTransformer3DModel(**{**CONFIG, "num_layers": 1})).scheduler
    scheduler.set_timesteps(28)
    levels = scheduler.timesteps / 1000
    even = levels / (SHIFT - (SHIFT - 1) * levels)
    torch.testing.assert_close(even.diff(), torch.full((27,), -1 / 28), atol=0.004, rtol=0)
    assert even[0] > 0.99 and even[-1] == pytest.approx(1 / 28, abs=0.002)

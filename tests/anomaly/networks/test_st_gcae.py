import pytest
import torch

from anomaly.networks.st_gcae import Autoencoder
from anomaly.settings import ModelSettings, NetworkSettings, settings_from_dict
from pose_extract.errors import ConfigError
from pose_extract.skeletons import COCO17, COCO18

SMALL = NetworkSettings(width=4, encoder=(2, 3), strides=(2, 3), decoder=(2, 2), upsampling=(3, 2))


def test_the_published_network_has_the_published_size_and_latent():
    network = Autoencoder(NetworkSettings(), COCO18, channels=3, frames=12)
    parameters = sum(p.numel() for p in network.parameters())
    assert 0.78e6 < parameters < 0.80e6
    assert network.latent_shape == (32, 2, 18)
    assert network.latent_size == 1152


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("skeleton", [COCO17, COCO18])
@pytest.mark.parametrize("frames", [6, 12, 24])
def test_windows_come_back_in_their_own_shape(channels, skeleton, frames):
    network = Autoencoder(SMALL, skeleton, channels, frames)
    x = torch.randn(2, channels, frames, skeleton.num_joints)
    z, reconstruction = network(x)
    assert z.shape == (2, network.latent_size)
    assert reconstruction.shape == x.shape


def test_the_reconstruction_is_not_cut_off_at_zero():
    torch.manual_seed(0)
    _, reconstruction = Autoencoder(SMALL, COCO18, 3, 12)(torch.randn(8, 3, 12, 18))
    assert (reconstruction < 0).any()


def test_a_window_that_the_strides_do_not_divide_is_an_error_before_training():
    with pytest.raises(ConfigError, match=r"10 frames.*6.*windows\.frames"):
        Autoencoder(SMALL, COCO18, 3, 10)
    with pytest.raises(ConfigError, match=r"multiple of 6"):
        settings_from_dict({"windows": {"frames": 16}})
    assert ModelSettings().windows.frames == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder": (2, 3), "strides": (2, 3, 1)},
        {"upsampling": (3, 1, 1, 1, 1)},
        {"temporal_kernel": 4},
        {"dropout": 1.0},
        {"adjacencies": ("static", "physical")},
        {"width": 10**6},
        {"decoder": (), "upsampling": ()},
    ],
)
def test_shapes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"model(\.\w+)?: expected"):
        NetworkSettings(**wrong)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_mixed_precision_stays_near_full_precision(channels):
    torch.manual_seed(0)
    network = Autoencoder(SMALL, COCO17, channels, 12)
    x = torch.randn(16, channels, 12, 17)
    with torch.autocast("cpu", torch.bfloat16):
        z, reconstruction = network.train()(x)
        loss = (reconstruction.float() - x).square().mean() + z.float().square().mean()
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    with torch.no_grad():
        exact = network.eval().encode(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network.encode(x).float()
    assert (rough - exact).norm() < 0.05 * exact.norm()

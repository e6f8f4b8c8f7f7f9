"""A person as layers, back to front: geometry and part labels only, so that any sensor may colour them."""

from nas_reid.data.synthetic.accessories import bag_before, bag_behind, hand_bag, logo_layers
from nas_reid.data.synthetic.canvas import Layer
from nas_reid.data.synthetic.figure import Figure, Pose
from nas_reid.data.synthetic.garments import arm_layers, hood_layer, leg_layers, torso_layers
from nas_reid.data.synthetic.head import hair_behind, head_layers
from nas_reid.data.synthetic.identity import Identity


def body_layers(identity: Identity, pose: Pose) -> list[Layer]:
    """All layers of ``identity`` in ``pose``, in painting order."""
    figure = Figure(identity, pose)
    facing = figure.cos > -0.2
    far = [side for side in figure.sides() if not figure.near(side)]
    near = [side for side in figure.sides() if figure.near(side)]
    layers: list[Layer] = []
    for side in far:
        layers += arm_layers(figure, side) + hand_bag(figure, side)
    layers += leg_layers(figure) + bag_behind(figure) + hair_behind(figure)
    layers += hood_layer(figure) if facing else []
    layers += torso_layers(figure) + logo_layers(figure)
    layers += [] if facing else hood_layer(figure)
    arms = [layer for side in near for layer in hand_bag(figure, side) + arm_layers(figure, side)]
    # From behind, a pack covers the backs of the shoulders and long hair falls over it.
    return layers + arms + bag_before(figure) + head_layers(figure)

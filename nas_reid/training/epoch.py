"""One epoch of a fixed network's training: the loop that retraining and pre-training share."""

from torch.nn.utils import clip_grad_norm_

from nas_reid.data.batches import LoadShare, TrainBatches
from nas_reid.data.class_batches import RandomCropBatches
from nas_reid.parallel.tensors import average_buffers, average_gradients
from nas_reid.progress import progress
from nas_reid.seed import seed_draws
from nas_reid.training.optim import set_lr
from nas_reid.training.running_losses import RunningLosses
from nas_reid.training.training import Training, steps_in_epoch


def train_one_epoch(training: Training, batches: TrainBatches | RandomCropBatches, epoch: int, *, seed: int,
                    name: str) -> dict[str, float]:
    """One pass over the training images.

    Args:
        training: changed in place.
        batches: what is learnt from, the same number in every epoch.
        epoch: counted from 0.
        seed: of the run; dropout and drop-path are pure functions of (seed, epoch, step).
        name: of the command, in front of the names of the losses.

    Returns:
        Means of the losses over the epoch, and the share of the time spent waiting for data.

    Raises:
        NonFiniteError: a loss or a parameter is no number any more.
    """
    training.begin(epoch)
    network, optimizer = training.network.train(), training.optimizer
    total, steps = len(batches), steps_in_epoch(len(batches), training.accumulate)
    losses, load = RunningLosses(epoch + 1), LoadShare([batches])
    bar = progress(batches.epoch(epoch), description=f"epoch {epoch + 1}/{training.rate.epochs}", total=total,
                   unit="step")
    for number, batch in enumerate(bar):
        step, position = divmod(number, training.accumulate)
        size = min(training.accumulate, total - step * training.accumulate)  # the last step takes what is left
        seed_draws(seed, epoch, number, device=batch.images.device)
        set_lr(optimizer, training.rate.at(epoch + step / steps))

        output = network(batch.images, modality=batch.modalities)
        loss, terms = training.loss(output, batch)
        (loss / size).backward()
        if position + 1 == size:
            average_gradients(network)
            if training.clip:
                clip_grad_norm_(network.parameters(), training.clip)
            optimizer.step()
            optimizer.zero_grad()
            if training.average is not None:
                training.average.update()
        training.objective.update(output, batch.labels, batch.modalities)

        if losses.add(number, {f"{name}/loss": loss} | {f"{name}/loss_{term}": value for term, value in terms.items()}):
            bar.set_postfix({key.split("/")[-1]: f"{mean:.3f}" for key, mean in losses.means().items()}
                            | {"load": f"{load():.0%}"})
    average_buffers(network, training.network_to_keep)
    return losses.finish(network) | {"time/load_share": load()}

"""Small runs of the commands that take every choice of the configuration at least once; see ``test_every_choice``.

Overrides are words of a line. A later one wins, so a run may change what all have.
"""

from typing import NamedTuple

from tests.cli.commands import DATA

_INFRARED_DATA = ("data=synthetic_ir data.synthetic.train_ids=8 data.synthetic.test_ids=4 data.synthetic.val_ids=2 "
                  "~data.synthetic.distractor_ids data.synthetic.images_per_camera=2")
SHORT = {"INFRARED_DATA": _INFRARED_DATA,
         "INFRARED": f"{_INFRARED_DATA} batch.sampler=modality_pairs batch.instances=4",
         "COSINE": "head.classifier=cosine objective.weights.cross_entropy.weight=0 "
                   "objective.alphas.cross_entropy.weight=0"}
SMALL = (*DATA, "threads=1", "batch.size=8", "batch.instances=2", "epochs=1", "evaluation.every=1")
SPACES = {
    "auto_reid": "space=auto_reid space.channels=3 space.layers=[1,1] space.nodes=2",
    "osnet_ain": "space=osnet_ain space.width=0.0625 space.fusion=addition space.streams=2",
    "nfs": "space=nfs space.width=0.0625",
    "norm_sites": "space=norm_sites space.width=0.0625",
}


class Chain(NamedTuple):
    """A search, the retraining of what it found, and the evaluation of that.

    Attributes:
        space, algorithm: of the search.
        search, retrain, evaluate: overrides; None: not run.
    """

    space: str
    algorithm: str
    search: str = ""
    retrain: str | None = None
    evaluate: str | None = None


CHAINS = (
    Chain("auto_reid", "darts",
          "space.execution=plain space.primitives=darts algorithm.order=weights_first algorithm.stop_skips=0 "
          "algorithm.regularisers.beta_decay=[0,1] head.pooling=max augment=standard epochs=2 "
          "deterministic=true algorithm.warmup_epochs=1 weights.weight_decay=0.01 weights.momentum=0.5 "
          "alphas.weight_decay=0 alphas.betas=[0.9,0.99] evaluation.batch_size=5 evaluation.single_gallery_shot=true",
          retrain="optimizer.name=sgd optimizer.nesterov=true freeze_trunk_epochs=1 epochs=2 head.stripes=2 "
                  "deterministic=true head.pooling=attention augment=bag_of_tricks clip=1 "
                  "optimizer.schedule=multi_step optimizer.milestones=[1] optimizer.gamma=0.5 head.dropout=0.2",
          evaluate="evaluation.distance=cosine evaluation.flip=false evaluation.camera_pairs=false "
                   "evaluation.roc=false evaluation.transductive_expansion={k:2} channels_last=false "
                   "evaluation.batch_size=3 evaluation.single_gallery_shot=true"),
    Chain("auto_reid", "darts_second_order",
          "algorithm.hessian=finite_difference head.pooling=gem head.dropout=0.2 augment=none "
          "weights.schedule=constant objective.weights.cosface_pairs={weight:1} "
          "objective.weights.cross_entropy.smoothing_form=wrong_classes "
          "objective.weights.cross_entropy.smoothing=0.2 objective.alphas.cross_entropy.smoothing=0",
          retrain="drop_path=0.2 augment=strong head.pooling=gem_fixed head.gem_power=2 "
                  "objective.center={weight:0.01} optimizer.name=adamw ema=0.5 accumulate=2 "
                  "optimizer.warmup_steps=1 evaluation.distance=squared_euclidean optimizer.lr=0.01 "
                  "optimizer.weight_decay=0.01 optimizer.betas=[0.8,0.99] optimizer.warmup_ratio=0.1 "
                  "evaluation.batch_size=5 evaluation.single_gallery_shot=true",
          evaluate="evaluation.distance=squared_euclidean evaluation.rerank={k1:3,k2:2} "
                   "evaluation.protocol=same_camera_allowed "
                   "evaluation.query_expansion={k:2}"),
    Chain("auto_reid", "gdas",
          "space.part_attention=qkv space.parts=2 augment=strong weights.nesterov=true head.pooling=attention "
          "head.reduction=4 objective.weights.weighted_triplet={weight:1,form:agw} weights.warmup_epochs=0.5 "
          "weights.warmup_ratio=0.1 alphas.warmup_epochs=0.5 alphas.warmup_ratio=0.1",
          retrain="optimizer.name=sgd optimizer.momentum=0.5 optimizer.decay_vectors=false "
                  "optimizer.bias_lr_factor=2 optimizer.head_lr_factor=10 full_training_set=true "
                  "head.neck_bias=false head.classifier_bias=false evaluation.rerank={k1:3,k2:2} "
                  "evaluation.roc=true evaluation.flip=false head.pooling=gem optimizer.flat_epochs=0.5 "
                  "optimizer.final_ratio=0.1 evaluation.bootstrap={samples:100,level:0.9,seed:1}",
          evaluate="evaluation.bootstrap=null evaluation.protocol=same_camera_removed"),
    Chain("auto_reid", "gumbel",
          "COSINE objective.weights.arcface={weight:1} objective.alphas.circle={weight:1} "
          "objective.alphas.triplet.weight=1 objective.alphas.arcface={weight:1} augment=bag_of_tricks "
          "space.stem=cifar objective.weights.circle={weight:1} evaluation.protocol=same_camera_allowed",
          retrain="evaluation.protocol=same_camera_allowed "
                  "objective.circle={weight:1} objective.cross_entropy.weight=0 head.classifier=cosine "
                  "augment=osnet_scratch network.channels=6 objective.arcface={weight:1} head.pooling=max"),
    Chain("auto_reid", "osnet_ain",
          "alphas.name=sgd alphas.momentum=0.9 alphas.schedule=cosine alphas.lr=0.1 algorithm.samples=2 "
          "objective.alphas.center={weight:0.1} space.primitives=baseline algorithm.clip_weights=1 "
          "alphas.nesterov=true alphas.flat_epochs=0.5 alphas.final_ratio=0.1"),
    Chain("auto_reid", "osnet_ain_published",
          "weights.name=adamw weights.lr=0.001 head.neck=false weights.warmup_steps=1 weights.flat_epochs=0.5 "
          "weights.final_ratio=0.1 head.pooling=avg_max"),
    Chain("auto_reid", "reinmax",
          "algorithm.regularisers.entropy=0.1 weights.name=adam weights.amsgrad=true weights.betas=[0.8,0.99] "
          "alphas.warmup_steps=1 head.gem_power=2 head.pooling=gem_fixed space.stem=wide"),
    Chain("auto_reid", "sdarts",
          "algorithm.perturbation=adversarial algorithm.perturbation_steps=1 algorithm.perturbation_size=[0.1,0.2] "
          "algorithm.regularisers.expected_cost=0.1 algorithm.stop_none=0.0 epochs=2"),
    Chain("auto_reid", "oles", "space.primitives=reid_without_none algorithm.stop_ops=1 algorithm.stop_ops_after=1"),
    Chain("osnet_ain", "oles", "space.fusion=addition space.streams=1"),
    Chain("norm_sites", "oles"),
    Chain("auto_reid", "gdas",
          "algorithm.relaxation=gumbel_sampled_exact split.by=camera validation_by=camera validation_fraction=0.5 "
          "precision=bfloat16",
          retrain="validation_by=camera validation_fraction=0.5 precision=bfloat16 channels_last=false "
                  "weights=null false_positive_rate=null"),
    Chain("auto_reid", "gumbel",
          "algorithm.relaxation=dirichlet algorithm.temperature.schedule=step algorithm.temperature.every=1 "
          "algorithm.temperature.start=4 algorithm.temperature.end=1 channels_last=false "
          "weights.schedule=multi_step weights.milestones=[1] weights.gamma=0.5"),
    Chain("auto_reid", "one_shot", "validation_seed=1 evaluation.protocol=same_camera_removed sync_norms=false",
          retrain="validation_seed=1 evaluation.protocol=same_camera_removed sync_norms=false"),
    Chain("auto_reid", "balanced_paths", retrain=""),
    Chain("auto_reid", "random", "algorithm.bounds={params:[0,1e8],macs:[0,1e12]}", retrain=""),
    Chain("osnet_ain", "one_shot"),
    Chain("osnet_ain", "balanced_paths", retrain=""),
    Chain("norm_sites", "one_shot", retrain=""),
    Chain("norm_sites", "balanced_paths", retrain=""),
    Chain("osnet_ain", "random"),
    Chain("nfs", "one_shot"),
    Chain("nfs", "balanced_paths", retrain=""),
    Chain("nfs", "random"),
    Chain("norm_sites", "random"),
    Chain("osnet_ain", "darts",
          "space.execution=fused split.by=identity objective.alphas.cross_entropy.weight=0 augment=osnet_transfer "
          "evaluation.distance=squared_euclidean",
          retrain="weights=SEARCH augment=sbs head.metric_features=after_neck objective.cosface_pairs={weight:1} "
                  "evaluation.distance=cosine evaluation.dsr={form:paper} evaluation.query_expansion={k:2} "
                  "evaluation.transductive_expansion={k:2}",
          evaluate="evaluation.distance=cosine evaluation.dsr={form:reconstruction,candidates:5}"),
    Chain("osnet_ain", "darts_second_order",
          "algorithm.hessian=exact space.stream_depth=1 evaluation.flip=true"),
    Chain("osnet_ain", "gdas",
          "space.candidates=shared augment=osnet_finetune",
          retrain="objective.cosface={weight:1} objective.cross_entropy.weight=0 head.classifier=cosine "
                  "head.embedding=8 head.embedding_norm_relu=false augment=pretrain"),
    Chain("osnet_ain", "gumbel",
          "space.convolution=full space.stem=batch space.fusion=concatenation",
          retrain="optimizer.schedule=constant optimizer.amsgrad=true head.init_std=0.1 head.neck=false "
                  "objective.circle_pairs={weight:1} objective.cross_entropy.smoothing=0 "
                  "objective.triplet.margin=null objective.triplet.weight=1"),
    Chain("osnet_ain", "osnet_ain",
          "alphas.name=adamw space.fusion=static split.weights_fraction=0.4"),
    Chain("osnet_ain", "osnet_ain_published",
          "space.fusion=unified space.width=0.25 space.streams=1 head.init_std=0.1 "
          "objective.weights.triplet.margin=null objective.weights.triplet.weight=1 "
          "objective.alphas.triplet.margin=0.5"),
    Chain("osnet_ain", "reinmax",
          "space.fusion=stream_wise space.width=0.25 space.streams=1"),
    Chain("osnet_ain", "sdarts",
          "space.fusion=separate space.width=0.25 space.streams=1 weights.decay_vectors=false "
          "weights.bias_lr_factor=2 weights.head_lr_factor=2 alphas.decay_vectors=false alphas.bias_lr_factor=2 "
          "alphas.head_lr_factor=2"),
    Chain("osnet_ain", "gumbel",
          "algorithm.relaxation=sigmoid algorithm.regularisers.zero_one=1 head.stripes=2"),
    Chain("osnet_ain", "gdas",
          "algorithm.relaxation=gumbel_sampled_exact"),
    Chain("nfs", "darts",
          "space.levels=channels objective.weights.circle_pairs={weight:1} "
          "objective.alphas.circle_pairs={weight:1}",
          retrain="optimizer.name=sgd"),
    Chain("nfs", "darts_second_order",
          "space.levels=pixels"),
    Chain("nfs", "gdas",
          "INFRARED space.position=block augment=cross_modal split.by=official validation_by=official "
          "objective.alphas.cross_entropy.weight=0 objective.alphas.cross_modality={weight:1}",
          retrain="INFRARED augment=cross_modal objective.cross_modality={weight:1} validation_by=official",
          evaluate="INFRARED_DATA"),
    Chain("nfs", "gumbel",
          "space.combination=sum space.levels=both"),
    Chain("nfs", "nfs",
          "INFRARED objective.weights.hetero_center={weight:1} objective.alphas.hetero_center={weight:1} "
          "objective.weights.cross_modality={weight:1} space.specific=2 space.derivation=threshold space.floor=0.5 "
          "space.initial_logit=0.5",
          retrain="INFRARED objective.hetero_center={weight:1} objective.weighted_triplet={weight:1}"),
    Chain("nfs", "nfs",
          "algorithm.relaxation=hard_concrete algorithm.temperature.schedule=constant space.depth=50 "
          "space.width=0.03125 space.ratio=0.5 space.last_stride=2"),
    Chain("nfs", "osnet_ain"),
    Chain("nfs", "osnet_ain_published", "space.norms=split space.costs=macs space.shared_channels=all"),
    Chain("nfs", "reinmax",
          "space.depth=34 space.width=0.03125 objective.weights.center={weight:0.1}"),
    Chain("nfs", "sdarts",
          "objective.weights.cross_entropy.smoothing_form=adaptive"),
    Chain("norm_sites", "darts",
          "INFRARED",
          retrain="INFRARED weights=SEARCH fresh_head=true optimizer.name=sgd freeze_trunk_epochs=1 epochs=2"),
    Chain("norm_sites", "darts_second_order",
          "space.depth=34 space.width=0.03125"),
    Chain("norm_sites", "gdas",
          "head.reduction=4 head.reduction_form=leaky_relu",
          retrain="head.reduction=4 head.reduction_form=leaky_relu"),
    Chain("norm_sites", "gumbel",
          "algorithm.temperature.schedule=exponential head.reduction=4 head.reduction_form=linear",
          retrain="head.reduction=4 head.reduction_form=linear augment.flip=null"),
    Chain("norm_sites", "nfs",
          "algorithm.regularisers.cost_budget.target=0.5"),
    Chain("norm_sites", "osnet_ain",
          "COSINE objective.weights.cosface={weight:1} objective.alphas.cosface={weight:1} head.embedding=8 "
          "head.embedding_norm_relu=true"),
    Chain("norm_sites", "osnet_ain_published",
          "space.depth=50 space.width=0.03125 space.last_stride=2"),
    Chain("norm_sites", "reinmax",
          "head.metric_features=after_neck evaluation.distance=cosine head.neck_bias=false head.classifier_bias=false"),
    Chain("norm_sites", "sdarts",
          "alphas.amsgrad=true alphas.schedule=multi_step alphas.milestones=[1] alphas.gamma=0.5"),
    Chain("norm_sites", "gumbel",
          "algorithm.relaxation=gumbel_hard head.pooling=gem_fixed objective.alphas.weighted_triplet={weight:1} "
          "objective.alphas.cosface_pairs={weight:1}"),
)
RESIDUAL = {  # what is retrained without a search
    "resnet/resnet18_ibn_b": "network.channels=2 network.stem_channels=2 network.stem_pool=ceil augment=paper",
    "resnet/resnet50_ibn_a_nl1": "network.channels=2 network.stem_channels=2 network.last_stride=2 augment=light "
                                 "augment.flip.p=1 head.pooling=avg_max",
    "resnet/resnest50": "network.channels=4 network.stem_channels=4 augment={cutout:{p:1},grey:{p:1},zoom:{p:1}}",
    "resnet/resnext50": "network.channels=4 network.stem_channels=4 network.group_width=16 network.se=true",
}


def words(line: str) -> list[str]:
    """The overrides of a line, with what it abbreviates."""
    return [word for each in line.split() for word in SHORT.get(each, each).split()]


def search_line(chain: Chain) -> list[str]:
    """The overrides of a chain's search."""
    return [*SMALL, f"algorithm={chain.algorithm}", *SPACES[chain.space].split(), "algorithm.warmup_epochs=0",
            *words(chain.search)]


def retrain_line(overrides: str) -> list[str]:
    """Those of a retraining, without its genotype."""
    return [*SMALL, "optimizer.warmup_epochs=0", *words(overrides)]


def evaluate_line(overrides: str) -> list[str]:
    """Those of an evaluation, without its checkpoint."""
    return [*DATA, "threads=1", *words(overrides)]

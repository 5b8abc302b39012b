"""Mean Teacher (Tarvainen & Valpola, 2017, arXiv 1703.01780): a student agrees with the average of its own past."""

from dmtkit.methods import Batch, Method, Nets, NotNegative, Now, Share, Step, method, per_task


@method("mean_teacher", title="Mean Teacher")
class MeanTeacher(Method):
    """L = CE(x) + λ · r(t) · mean (p(u) − p'(u'))², over elements and classes; p' is the teacher's, without gradient.

    Images: two weak views, a linear ramp r (as google-research/mixmatch runs it). Pixels: the student sees other colours, r is
    γ's curve, and the teacher is what is reported.
    """

    weight: NotNegative = per_task(classification=50.0, segmentation=100.0)
    ramp: Share = per_task(classification=0.4, segmentation=0.1)
    views = per_task(classification=("weak", "weak2"), segmentation=("strong", "weak"))
    curve = per_task(classification="linear", segmentation="sigmoid")
    reports = per_task(classification="model", segmentation="teacher")
    averages = per_task(classification={"teacher": ("model", 0.999)}, segmentation={"teacher": ("model", 0.99)})
    adds = ("weight",)

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """The student's view is the first that is declared."""
        mine, theirs = (batch.u[view] for view in self.views)
        distance = (nets("model", mine).softmax(1) - nets.label("teacher", theirs).softmax(1)).square().mean(1)
        consistency = now.mean(distance, batch.valid)
        loss = now.supervised(nets, batch) + self.weight * now.ramp(self.ramp, self.curve) * consistency
        return Step({"model": loss}, {"consistency": consistency})

"use strict";
// Small pictures of movements: a few poses side by side, left to right.

gepc.figures = {
  // poses: lists of joints [x, y] or null, y down. Sideways each pose has a cell of its own; heights stay as they are.
  draw(canvas, poses, skeleton, rings = []) {
    const context = gepc.context(canvas);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const full = poses.map((pose) => pose.filter(Boolean)).filter((joints) => joints.length > 1);
    if (!full.length) return;
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const spread = full.map((joints) => {
      const centre = mean(joints.map((joint) => joint[0]));
      return Math.max(...joints.map((joint) => Math.abs(joint[0] - centre)));
    });
    const ys = full.flat().map((joint) => joint[1]);
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    const cell = width / poses.length;
    const scale = Math.min((height - 10) / Math.max(bottom - top, 1e-6), (0.48 * cell) / Math.max(...spread, 1e-6));
    poses.forEach((pose, n) => {
      const seen = pose.filter(Boolean);
      if (seen.length < 2) return;
      const centre = mean(seen.map((joint) => joint[0]));
      const x = (joint) => (n + 0.5) * cell + (joint[0] - centre) * scale;
      const y = (joint) => height / 2 + (joint[1] - (top + bottom) / 2) * scale;
      gepc.figures.bones(context, pose, skeleton, x, y);
      context.strokeStyle = gepc.colour("alarm");
      context.lineWidth = 1.5;
      for (const name of rings) {
        const joint = pose[skeleton.joints.indexOf(name)];
        if (!joint) continue;
        context.beginPath();
        context.arc(x(joint), y(joint), 4, 0, 7);
        context.stroke();
      }
    });
  },

  bones(context, pose, skeleton, x, y) {
    context.lineWidth = 2;
    context.lineCap = "round";
    for (const [a, b] of skeleton.edges) {
      if (!pose[a] || !pose[b]) continue;
      const sides = [a, b].map((j) => /left|right/.exec(skeleton.joints[j])?.[0]);
      const side = sides[0] && sides[1] && sides[0] !== sides[1] ? null : (sides[0] ?? sides[1]);
      context.strokeStyle = gepc.colour(side ?? "bone");
      context.beginPath();
      context.moveTo(x(pose[a]), y(pose[a]));
      context.lineTo(x(pose[b]), y(pose[b]));
      context.stroke();
    }
  },

  // A person's poses over the frames first..last, some of them; null while they are still being loaded.
  person(clip, track, first, last) {
    const count = Math.min(5, last - first + 1);
    const frames = Array.from({ length: count }, (_, i) => Math.round(first + (i * (last - first)) / Math.max(count - 1, 1)));
    const poses = frames.map((frame) => clip.people(frame).find((one) => one.track === track)?.joints);
    return poses.some(Boolean) ? poses.map((pose) => pose ?? []) : null;
  },
};

#!/bin/sh
# Rewrites the clips beside this script: frame n of each is grey of luma 20 + 5 n, so that a test can tell the frames apart.
set -e
cd "$(dirname "$0")"
run() { ffmpeg -v error -y "$@"; }
grey="color=black:size=64x48:rate=10:duration=4,format=yuv420p,geq=lum='20+5*N':cb=128:cr=128"
run -f lavfi -i "$grey" -c:v libx264 -crf 10 -x264-params keyint=10:min-keyint=10:scenecut=0 constant.mp4
run -f lavfi -i "$grey" -c:v libx264 -crf 10 -x264-params open-gop=1:keyint=10:min-keyint=10:bframes=3:scenecut=0 open_gop.mp4
# Frames 0 .. 9, then every fourth.
run -f lavfi -i "$grey" -vf "select='lt(n,10)+not(mod(n,4))'" -fps_mode vfr -c:v libx264 -crf 10 -x264-params keyint=10 variable.mp4
run -f lavfi -i "$grey" -c:v libvpx-vp9 -crf 10 -b:v 0 -g 10 vp9.webm
# A container without times, and one whose first 7 frames lie before its start.
run -f lavfi -i "$grey" -c:v mpeg4 -bf 2 -q:v 1 -g 10 untimed.avi
run -ss 0.7 -i constant.mp4 -c copy edited.mp4
run -f lavfi -i "sine=duration=1" -c:a aac -b:a 16k audio.mp4

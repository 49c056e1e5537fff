//! A body on its way into an HTTP/2 stream, as fast as the receiver takes it and no faster.

use std::{future::poll_fn, pin::Pin, task::Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as _, Frame};

use super::body::{Body, BodyError};

/// Sends the whole body and the end of the stream. When the body breaks off, so does the stream,
/// with the same code where there is one.
pub async fn send(mut body: Body, stream: &mut SendStream<Bytes>) -> Result<(), BodyError> {
    loop {
        let frame = match next(&mut body, stream).await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                stream.send_reset(error.h2_reason().unwrap_or(Reason::INTERNAL_ERROR));
                return Err(error);
            }
            None => return Ok(stream.send_data(Bytes::new(), true)?),
        };
        match frame.into_data() {
            Ok(data) => {
                let last = body.is_end_stream();
                send_data(data, last, stream).await?;
                if last {
                    return Ok(());
                }
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return Ok(stream.send_trailers(trailers)?);
            }
        }
    }
}

/// The next frame, or the error that the receiver has reset the stream.
async fn next(
    body: &mut Body,
    stream: &mut SendStream<Bytes>,
) -> Option<Result<Frame<Bytes>, BodyError>> {
    poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(frame),
        Poll::Pending => match stream.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => Poll::Ready(Some(Err(h2::Error::from(reason).into()))),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => Poll::Pending,
        },
    })
    .await
}

async fn send_data(
    mut data: Bytes,
    last: bool,
    stream: &mut SendStream<Bytes>,
) -> Result<(), BodyError> {
    if data.is_empty() {
        return if last {
            Ok(stream.send_data(data, true)?)
        } else {
            Ok(())
        };
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let mut capacity = stream.capacity();
        while capacity == 0 {
            capacity = match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(capacity)) => capacity,
                Some(Err(error)) => return Err(error.into()),
                None => return Err(BodyError::Proxy("the receiver closed the stream")),
            };
        }
        let chunk = data.split_to(capacity.min(data.len()));
        let ended = last && data.is_empty();
        stream.send_data(chunk, ended)?;
    }
    Ok(())
}
